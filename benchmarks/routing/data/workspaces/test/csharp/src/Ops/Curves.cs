using Darkroom.Model;

namespace Darkroom.Ops;

public sealed class Curves : IOperation
{
    public string Name => "curves";

    public Bitmap Apply(Bitmap input, Step step)
    {
        var table = new float[1025];
        var contrast = step.Get("contrast", 0);
        var black = step.Get("black", 0);
        var white = step.Get("white", 1);
        for (var i = 0; i < table.Length; i++)
        {
            var v = Math.Clamp((i / 1024.0 - black) / (white - black), 0, 1);
            table[i] = (float)(v + contrast * (v - 0.5) * 4 * v * (1 - v));
        }

        var output = input.Copy();
        for (var i = 0; i < output.Data.Length; i++)
        {
            output.Data[i] = table[(int)(Math.Clamp(output.Data[i], 0, 1) * 1024)];
        }

        return output;
    }
}
