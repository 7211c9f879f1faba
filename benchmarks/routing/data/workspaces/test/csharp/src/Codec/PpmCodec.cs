using System.Text;
using Darkroom.Model;

namespace Darkroom.Codec;

/// <summary>Portable pixmaps, P6 only.</summary>
public static class PpmCodec
{
    public static Bitmap Read(Stream stream)
    {
        if (Token(stream) != "P6")
        {
            throw new InvalidDataException("not a P6 pixmap");
        }

        var size = new Size(int.Parse(Token(stream)), int.Parse(Token(stream)));
        var top = float.Parse(Token(stream));
        var bitmap = new Bitmap(size);
        var bytes = new byte[size.Pixels * 3];
        stream.ReadExactly(bytes);
        for (var i = 0; i < bytes.Length; i++)
        {
            bitmap.Data[i] = MathF.Pow(bytes[i] / top, 2.2f);
        }

        return bitmap;
    }

    public static void Write(Bitmap bitmap, Stream stream)
    {
        stream.Write(Encoding.ASCII.GetBytes($"P6\n{bitmap.Size.Width} {bitmap.Size.Height}\n255\n"));
        foreach (var value in bitmap.Data)
        {
            stream.WriteByte((byte)Math.Clamp(MathF.Pow(value, 1 / 2.2f) * 255 + 0.5f, 0, 255));
        }
    }

    private static string Token(Stream stream)
    {
        var text = new StringBuilder();
        for (var b = stream.ReadByte(); b > ' '; b = stream.ReadByte())
        {
            text.Append((char)b);
        }

        return text.ToString();
    }
}
