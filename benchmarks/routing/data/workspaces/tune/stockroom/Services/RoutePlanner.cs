using Stockroom.Domain;

namespace Stockroom.Services;

/// <summary>The way of a picker through the aisles, as a serpentine.</summary>
public sealed class RoutePlanner
{
    private readonly AllocationEngine _engine;

    public RoutePlanner(AllocationEngine engine) => _engine = engine;

    public List<Allocation> Plan(int orderId)
    {
        var open = _engine.AllocationsOf(orderId);
        var byZone = open.GroupBy(a => a.BinCode.Split('-')[0]).OrderBy(g => g.Key);
        var route = new List<Allocation>();
        var forward = true;
        foreach (var zone in byZone)
        {
            var stops = forward
                ? zone.OrderBy(a => a.BinCode, StringComparer.Ordinal)
                : zone.OrderByDescending(a => a.BinCode, StringComparer.Ordinal);
            route.AddRange(stops);
            forward = !forward;
        }
        return route;
    }
}
