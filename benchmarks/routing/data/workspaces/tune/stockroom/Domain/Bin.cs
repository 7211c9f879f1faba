namespace Stockroom.Domain;

public sealed class Bin
{
    public required string Code { get; init; }
    public required string Zone { get; init; }
    public required string Warehouse { get; init; }
    public int Level { get; init; }
    public int Capacity { get; init; }
    public bool Blocked { get; set; }
    public Dictionary<string, int> Contents { get; } = new();

    public int Free => Capacity - Contents.Values.Sum();
}
