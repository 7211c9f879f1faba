using Darkroom.Model;

namespace Darkroom.Ops;

/// <summary>Separable Lanczos of three lobes.</summary>
public sealed class Resize : IOperation
{
    public string Name => "resize";

    public Size Predict(Size input, Step step)
    {
        var width = step.Get("width", 0);
        var height = step.Get("height", 0);
        if (width > 0 && height > 0)
        {
            var factor = Math.Min(width / input.Width, height / input.Height);
            return step.Get("stretch", 0) > 0 ? new((int)width, (int)height) : input.Scale(factor);
        }

        return input.Scale(width > 0 ? width / input.Width : height > 0 ? height / input.Height : 1);
    }

    public Bitmap Apply(Bitmap input, Step step)
    {
        var size = Predict(input.Size, step);
        var middle = Pass(input, new Size(size.Width, input.Size.Height), true);
        return Pass(middle, size, false);
    }

    private static double Kernel(double x)
    {
        x = Math.Abs(x);
        if (x < 1e-9)
        {
            return 1;
        }

        return x >= 3 ? 0 : 3 * Math.Sin(Math.PI * x) * Math.Sin(Math.PI * x / 3) / (Math.PI * Math.PI * x * x);
    }

    private static Bitmap Pass(Bitmap input, Size size, bool horizontal)
    {
        var output = new Bitmap(size);
        var from = horizontal ? input.Size.Width : input.Size.Height;
        var to = horizontal ? size.Width : size.Height;
        var scale = (double)from / to;
        var reach = 3 * Math.Max(1, scale);
        for (var y = 0; y < size.Height; y++)
        {
            for (var x = 0; x < size.Width; x++)
            {
                var center = ((horizontal ? x : y) + 0.5) * scale - 0.5;
                double r = 0, g = 0, b = 0, sum = 0;
                for (var k = (int)Math.Ceiling(center - reach); k <= center + reach; k++)
                {
                    var weight = Kernel((k - center) / Math.Max(1, scale));
                    var clamped = Math.Clamp(k, 0, from - 1);
                    var row = input.Row(horizontal ? y : clamped);
                    var at = (horizontal ? clamped : x) * 3;
                    r += weight * row[at];
                    g += weight * row[at + 1];
                    b += weight * row[at + 2];
                    sum += weight;
                }

                var target = output.Row(y);
                target[x * 3] = (float)(r / sum);
                target[x * 3 + 1] = (float)(g / sum);
                target[x * 3 + 2] = (float)(b / sum);
            }
        }

        return output;
    }
}
