using Stockroom.Data;

namespace Stockroom.Services;

public sealed class CycleCount
{
    private readonly StockRepository _stock;
    private readonly AllocationEngine _engine;
    private readonly AuditLog _audit;

    public CycleCount(StockRepository stock, AllocationEngine engine, AuditLog audit)
    {
        _stock = stock;
        _engine = engine;
        _audit = audit;
    }

    public int Correct(string binCode, string sku, int counted, string who)
    {
        var bin = _stock.Bin(binCode) ?? throw new ArgumentException($"no bin {binCode}");
        var expected = bin.Contents.GetValueOrDefault(sku);
        if (counted == expected)
        {
            return 0;
        }
        bin.Contents[sku] = counted;
        _audit.Write(who, $"{binCode} {sku}: {expected} -> {counted}");
        if (counted < expected)
        {
            _engine.Reallocate(sku);
        }
        return counted - expected;
    }
}
