using Stockroom.Data;
using Stockroom.Domain;
using Stockroom.Services;

namespace Stockroom.Web;

public sealed class OrdersController
{
    private readonly StockRepository _stock;
    private readonly AllocationEngine _engine;

    public OrdersController(StockRepository stock, AllocationEngine engine)
    {
        _stock = stock;
        _engine = engine;
    }

    public IEnumerable<OrderDto> List() => _stock.Orders.Select(ToDto);

    public (int Status, object Body) Post(PickOrder order)
    {
        if (order.Lines.Count == 0)
        {
            return (400, "an order needs lines");
        }
        _stock.Save(order);
        var result = _engine.Allocate(order.Id, DateTime.UtcNow);
        return result.Ok ? (201, ToDto(order)) : (409, result.Error!);
    }

    public (int Status, object Body) Delete(int id, string who)
    {
        _engine.Cancel(id, who);
        return (204, "");
    }

    private static OrderDto ToDto(PickOrder order) => new()
    {
        Id = order.Id,
        Customer = order.Customer,
        State = order.State.ToString(),
        Lines = order.Lines.Count,
    };
}
