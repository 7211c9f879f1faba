namespace Darkroom.Model;

/// <summary>What is to be done to one picture, in order.</summary>
public sealed record Recipe(string Source, string Target, IReadOnlyList<Step> Steps, string Format, int Quality)
{
    public bool KeepMetadata { get; init; }

    public int Priority { get; init; }
}

public sealed record Step(string Name, IReadOnlyDictionary<string, double> Values)
{
    public double Get(string key, double fallback) => Values.TryGetValue(key, out var value) ? value : fallback;
}
