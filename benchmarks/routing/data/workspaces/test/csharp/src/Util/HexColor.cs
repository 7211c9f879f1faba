namespace Darkroom.Util;

public static class HexColor
{
    public static (byte R, byte G, byte B) Parse(string text)
    {
        var value = Convert.ToInt32(text.TrimStart('#'), 16);
        return ((byte)(value >> 16), (byte)(value >> 8), (byte)value);
    }

    public static string Format(byte r, byte g, byte b) => $"#{r:x2}{g:x2}{b:x2}";
}
