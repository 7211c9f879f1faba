namespace Stockroom.Domain;

public enum PickState
{
    Open,
    Partial,
    Allocated,
    Picked,
    Shipped,
    Cancelled,
}

public sealed record PickLine(string Sku, int Quantity);

public sealed class PickOrder
{
    public required int Id { get; init; }
    public required string Customer { get; init; }
    public required List<PickLine> Lines { get; init; }
    public PickState State { get; set; } = PickState.Open;
    public int Priority { get; set; }
    public bool AllowPartial { get; set; }
    public bool AllowSubstitutes { get; set; }
    public string? PreferredWarehouse { get; set; }
    public DateTime Due { get; set; }
}
