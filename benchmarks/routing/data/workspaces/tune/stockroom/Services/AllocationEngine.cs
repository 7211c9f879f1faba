using Stockroom.Common;
using Stockroom.Data;
using Stockroom.Domain;

namespace Stockroom.Services;

/// <summary>Which order gets what from where; also moves, receipts, shipments and cancellations.</summary>
public sealed class AllocationEngine
{
    private readonly StockRepository _stock;
    private readonly AuditLog _audit;
    private readonly Dictionary<int, List<Allocation>> _allocations = new();
    private readonly Dictionary<string, List<string>> _substitutes = new();
    private readonly Dictionary<string, int> _safety = new();
    private readonly HashSet<string> _recalled = new();
    private readonly object _gate = new();
    private readonly RoutePlanner _routes;
    private readonly Replenisher _replenisher;

    public AllocationEngine(StockRepository stock, AuditLog audit)
    {
        _stock = stock;
        _audit = audit;
        _routes = new RoutePlanner(this);
        _replenisher = new Replenisher(stock, this);
    }

    public List<Allocation> AllocationsOf(int orderId) => _allocations.GetValueOrDefault(orderId) ?? new();

    public void Substitute(string sku, params string[] others) => _substitutes[sku] = others.ToList();

    public void Safety(string sku, int count) => _safety[sku] = count;

    public void Recall(string sku)
    {
        _recalled.Add(sku);
        Reallocate(sku);
    }

    public Result<List<Allocation>> Allocate(int orderId, DateTime now)
    {
        lock (_gate)
        {
            var order = _stock.Order(orderId);
            if (order is null)
            {
                return Result<List<Allocation>>.Bad("no such order");
            }
            if (order.State is PickState.Picked or PickState.Shipped or PickState.Cancelled)
            {
                return Result<List<Allocation>>.Bad($"the order is {order.State}");
            }
            var found = new List<Allocation>();
            var missing = new List<PickLine>();
            var weight = 0;
            foreach (var line in order.Lines)
            {
                var already = AllocationsOf(orderId).Where(a => a.Sku == line.Sku).Sum(a => a.Quantity);
                var left = line.Quantity - already;
                if (left <= 0)
                {
                    continue;
                }
                var candidates = new List<string> { line.Sku };
                if (order.AllowSubstitutes && _substitutes.TryGetValue(line.Sku, out var others))
                {
                    candidates.AddRange(others);
                }
                foreach (var sku in candidates)
                {
                    if (left <= 0)
                    {
                        break;
                    }
                    var product = _stock.Product(sku);
                    if (product is null || _recalled.Contains(sku))
                    {
                        continue;
                    }
                    if (product.BestBefore is { } end && end < DateOnly.FromDateTime(order.Due))
                    {
                        if (order.Priority < 8 || end < DateOnly.FromDateTime(now))
                        {
                            continue;
                        }
                    }
                    var reserve = _safety.GetValueOrDefault(sku);
                    if (order.Priority >= 9)
                    {
                        reserve = 0;
                    }
                    else if (order.Priority >= 6 && reserve > 2)
                    {
                        reserve /= 2;
                    }
                    var free = _stock.OnHand(sku) - Held(sku) - reserve;
                    if (free <= 0)
                    {
                        if (order.Priority >= 7 && Steal(sku, left, order.Priority) is > 0 and var gained)
                        {
                            free = gained;
                        }
                        else
                        {
                            continue;
                        }
                    }
                    var bins = _stock.Bins
                        .Where(b => !b.Blocked && b.Contents.GetValueOrDefault(sku) > HeldIn(b.Code, sku))
                        .OrderBy(b => order.PreferredWarehouse is null || b.Warehouse == order.PreferredWarehouse ? 0 : 1)
                        .ThenBy(b => b.Level)
                        .ThenBy(b => b.Contents[sku]);
                    foreach (var bin in bins)
                    {
                        if (left <= 0 || free <= 0)
                        {
                            break;
                        }
                        if (product.Hazardous && bin.Zone != "H" && bin.Warehouse != Units.DefaultWarehouse)
                        {
                            continue;
                        }
                        if (product.Cooled && bin.Zone != "C")
                        {
                            _audit.Write("system", $"{sku} lies uncooled in {bin.Code}");
                            continue;
                        }
                        if (bin.Level > 0)
                        {
                            if (_replenisher.Run(sku, left) > 0 && order.Priority < 5)
                            {
                                continue;
                            }
                        }
                        var count = Math.Min(Math.Min(left, free), bin.Contents[sku] - HeldIn(bin.Code, sku));
                        if (count <= 0)
                        {
                            continue;
                        }
                        weight += product.WeightGrams * count;
                        if (weight > Units.MaxPickWeightGrams && found.Count > 0 && !order.AllowPartial)
                        {
                            weight -= product.WeightGrams * count;
                            missing.Add(new PickLine(sku, count));
                            left -= count;
                            continue;
                        }
                        found.Add(new Allocation(orderId, sku, bin.Code, count, now));
                        left -= count;
                        free -= count;
                    }
                }
                if (left > 0)
                {
                    missing.Add(line with { Quantity = left });
                }
            }
            if (missing.Count > 0 && !order.AllowPartial)
            {
                if (order.Due - now < TimeSpan.FromHours(4) && found.Count > 0 && order.Priority >= 8)
                {
                    _audit.Write("system", $"order {orderId} is split, it is due soon");
                }
                else
                {
                    return Result<List<Allocation>>.Bad($"{missing.Count} lines cannot be met");
                }
            }
            if (!_allocations.TryGetValue(orderId, out var kept))
            {
                kept = new List<Allocation>();
                _allocations[orderId] = kept;
            }
            kept.AddRange(found);
            order.State = missing.Count > 0 ? PickState.Partial : PickState.Allocated;
            _stock.Save(order);
            return Result<List<Allocation>>.Good(_routes.Plan(orderId));
        }
    }

    private int Held(string sku) => _allocations.Values.SelectMany(a => a).Where(a => a.Sku == sku).Sum(a => a.Quantity);

    private int HeldIn(string bin, string sku) =>
        _allocations.Values.SelectMany(a => a).Where(a => a.Sku == sku && a.BinCode == bin).Sum(a => a.Quantity);

    private int Steal(string sku, int wanted, int priority)
    {
        var gained = 0;
        var victims = _allocations
            .Where(pair => _stock.Order(pair.Key) is { } o && o.Priority < priority - 2 && o.State != PickState.Picked)
            .OrderBy(pair => _stock.Order(pair.Key)!.Priority)
            .ThenByDescending(pair => _stock.Order(pair.Key)!.Due);
        foreach (var (id, list) in victims.ToList())
        {
            foreach (var allocation in list.Where(a => a.Sku == sku).ToList())
            {
                if (gained >= wanted)
                {
                    return gained;
                }
                list.Remove(allocation);
                gained += allocation.Quantity;
                var victim = _stock.Order(id)!;
                victim.State = list.Count == 0 ? PickState.Open : PickState.Partial;
                _audit.Write("system", $"order {id} lost {allocation.Quantity} {sku}");
            }
        }
        return gained;
    }

    public void Reallocate(string sku)
    {
        lock (_gate)
        {
            var affected = _allocations.Where(p => p.Value.Any(a => a.Sku == sku)).Select(p => p.Key).ToList();
            foreach (var id in affected)
            {
                _allocations[id].RemoveAll(a => a.Sku == sku);
                if (_stock.Order(id) is { } order && order.State is PickState.Allocated or PickState.Partial)
                {
                    Allocate(id, DateTime.UtcNow);
                }
            }
        }
    }

    public Result<int> Move(string sku, string from, string to, int count)
    {
        var source = _stock.Bin(from);
        var target = _stock.Bin(to);
        if (source is null || target is null)
        {
            return Result<int>.Bad("no such bin");
        }
        if (source.Contents.GetValueOrDefault(sku) < count)
        {
            return Result<int>.Bad("not enough there");
        }
        if (target.Blocked || target.Free < count)
        {
            return Result<int>.Bad("no room");
        }
        source.Contents[sku] -= count;
        target.Contents[sku] = target.Contents.GetValueOrDefault(sku) + count;
        foreach (var list in _allocations.Values)
        {
            for (var i = 0; i < list.Count; i++)
            {
                if (list[i].Sku == sku && list[i].BinCode == from && source.Contents[sku] < HeldIn(from, sku))
                {
                    list[i] = list[i] with { BinCode = to };
                }
            }
        }
        return Result<int>.Good(count);
    }

    public Result<int> Receive(string sku, int count, string warehouse)
    {
        var product = _stock.Product(sku);
        if (product is null)
        {
            return Result<int>.Bad("unknown product");
        }
        var zone = product.Cooled ? "C" : product.Hazardous ? "H" : null;
        var left = count;
        foreach (var bin in _stock.Bins.Where(b => b.Warehouse == warehouse && !b.Blocked && (zone is null || b.Zone == zone)))
        {
            if (left == 0)
            {
                break;
            }
            var put = Math.Min(left, bin.Free);
            if (put > 0)
            {
                bin.Contents[sku] = bin.Contents.GetValueOrDefault(sku) + put;
                left -= put;
            }
        }
        return left == 0 ? Result<int>.Good(count) : Result<int>.Bad($"no room for {left}");
    }

    public Result<int> Ship(int orderId)
    {
        var order = _stock.Order(orderId);
        if (order?.State is not (PickState.Allocated or PickState.Partial or PickState.Picked))
        {
            return Result<int>.Bad("not ready");
        }
        foreach (var allocation in AllocationsOf(orderId))
        {
            var bin = _stock.Bin(allocation.BinCode)!;
            bin.Contents[allocation.Sku] -= allocation.Quantity;
            if (bin.Contents[allocation.Sku] == 0)
            {
                bin.Contents.Remove(allocation.Sku);
            }
        }
        _allocations.Remove(orderId);
        order.State = PickState.Shipped;
        return Result<int>.Good(orderId);
    }

    public void Cancel(int orderId, string who)
    {
        if (_stock.Order(orderId) is { State: not PickState.Shipped } order)
        {
            _allocations.Remove(orderId);
            order.State = PickState.Cancelled;
            _audit.Write(who, $"cancelled {orderId}");
        }
    }
}
