using Darkroom.Model;

namespace Darkroom.Ops;

public sealed class OperationTable
{
    private readonly Dictionary<string, IOperation> _byName;

    public OperationTable(IEnumerable<IOperation> operations)
    {
        _byName = operations.ToDictionary(o => o.Name, StringComparer.OrdinalIgnoreCase);
    }

    public static OperationTable Standard => new(new IOperation[] { new Exposure(), new Crop(), new Resize(), new Curves() });

    public IOperation this[string name] =>
        _byName.TryGetValue(name, out var found) ? found : throw new KeyNotFoundException($"no operation {name}");

    public Size Predict(Size size, IEnumerable<Step> steps) => steps.Aggregate(size, (s, step) => this[step.Name].Predict(s, step));
}
