using System.Diagnostics;

namespace Darkroom.Util;

/// <summary>Named times, added up.</summary>
public sealed class Stopwatches
{
    private readonly Dictionary<string, TimeSpan> _sums = new();

    public T Measure<T>(string name, Func<T> work)
    {
        var start = Stopwatch.GetTimestamp();
        var result = work();
        _sums[name] = _sums.GetValueOrDefault(name) + Stopwatch.GetElapsedTime(start);
        return result;
    }

    public IReadOnlyDictionary<string, TimeSpan> Sums => _sums;
}
