using Stockroom.Data;
using Stockroom.Domain;

namespace Stockroom.Services;

/// <summary>Moves goods from high levels to where they are picked.</summary>
public sealed class Replenisher
{
    private readonly StockRepository _stock;
    private readonly AllocationEngine _engine;

    public Replenisher(StockRepository stock, AllocationEngine engine)
    {
        _stock = stock;
        _engine = engine;
    }

    public int Run(string sku, int wanted)
    {
        var low = _stock.Bins.Where(b => b.Level == 0 && !b.Blocked && b.Free > 0).OrderByDescending(b => b.Free).ToList();
        var moved = 0;
        foreach (var high in _stock.Bins.Where(b => b.Level > 0 && b.Contents.ContainsKey(sku)))
        {
            foreach (var target in low)
            {
                if (moved >= wanted)
                {
                    return moved;
                }
                var count = Math.Min(Math.Min(high.Contents.GetValueOrDefault(sku), target.Free), wanted - moved);
                if (count > 0 && _engine.Move(sku, high.Code, target.Code, count).Ok)
                {
                    moved += count;
                }
            }
        }
        return moved;
    }
}
