using Darkroom.Model;

namespace Darkroom.Ops;

public sealed class Crop : IOperation
{
    public string Name => "crop";

    public Size Predict(Size input, Step step) =>
        new((int)step.Get("width", input.Width), (int)step.Get("height", input.Height));

    public Bitmap Apply(Bitmap input, Step step)
    {
        var size = Predict(input.Size, step);
        var left = (int)step.Get("left", 0);
        var top = (int)step.Get("top", 0);
        if (left < 0 || top < 0 || left + size.Width > input.Size.Width || top + size.Height > input.Size.Height)
        {
            throw new ArgumentException($"{size} at {left},{top} is outside {input.Size}");
        }

        var output = new Bitmap(size);
        for (var y = 0; y < size.Height; y++)
        {
            input.Row(y + top).Slice(left * 3, size.Width * 3).CopyTo(output.Row(y));
        }

        return output;
    }
}
