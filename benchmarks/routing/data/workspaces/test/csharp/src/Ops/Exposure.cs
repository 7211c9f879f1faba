using Darkroom.Model;

namespace Darkroom.Ops;

public sealed class Exposure : IOperation
{
    public string Name => "exposure";

    public Bitmap Apply(Bitmap input, Step step)
    {
        var gain = (float)Math.Pow(2, step.Get("stops", 0));
        var output = input.Copy();
        for (var i = 0; i < output.Data.Length; i++)
        {
            output.Data[i] *= gain;
        }

        return output;
    }
}
