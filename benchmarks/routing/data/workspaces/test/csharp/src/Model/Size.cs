namespace Darkroom.Model;

/// <summary>Width and height in pixels.</summary>
public readonly record struct Size(int Width, int Height)
{
    public long Pixels => (long)Width * Height;

    public Size Scale(double factor) => new((int)Math.Round(Width * factor), (int)Math.Round(Height * factor));

    public override string ToString() => $"{Width}x{Height}";
}
