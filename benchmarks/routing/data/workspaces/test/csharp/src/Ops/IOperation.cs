using Darkroom.Model;

namespace Darkroom.Ops;

public interface IOperation
{
    string Name { get; }

    Bitmap Apply(Bitmap input, Step step);

    Size Predict(Size input, Step step) => input;
}
