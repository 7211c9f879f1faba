namespace Darkroom.Model;

/// <summary>Linear light, three floats for each pixel.</summary>
public sealed class Bitmap
{
    public Bitmap(Size size)
    {
        Size = size;
        Data = new float[size.Pixels * 3];
    }

    public Size Size { get; }

    public float[] Data { get; }

    public Span<float> Row(int y) => Data.AsSpan(y * Size.Width * 3, Size.Width * 3);

    public Bitmap Copy()
    {
        var other = new Bitmap(Size);
        Data.CopyTo(other.Data, 0);
        return other;
    }
}
