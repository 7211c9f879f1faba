namespace Stockroom.Domain;

public sealed record Allocation(int OrderId, string Sku, string BinCode, int Quantity, DateTime At);
