namespace Stockroom.Domain;

public sealed class Product
{
    public required string Sku { get; init; }
    public required string Name { get; set; }
    public int WeightGrams { get; set; }
    public bool Fragile { get; set; }
    public bool Hazardous { get; set; }
    public bool Cooled { get; set; }
    public DateOnly? BestBefore { get; set; }
}
