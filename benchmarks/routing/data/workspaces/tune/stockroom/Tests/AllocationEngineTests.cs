using Stockroom.Data;
using Stockroom.Domain;
using Stockroom.Services;
using Xunit;

namespace Stockroom.Tests;

public class AllocationEngineTests
{
    [Fact]
    public void TakesFromTheBin()
    {
        var stock = new StockRepository();
        stock.Save(new Product { Sku = "A", Name = "a" });
        var bin = new Bin { Code = "G-1", Zone = "G", Warehouse = "HAM1", Capacity = 10 };
        bin.Contents["A"] = 5;
        stock.Save(bin);
        stock.Save(new PickOrder { Id = 1, Customer = "c", Lines = new() { new PickLine("A", 2) } });
        var result = new AllocationEngine(stock, new AuditLog()).Allocate(1, DateTime.UtcNow);
        Assert.True(result.Ok);
        Assert.Single(result.Value!);
    }
}
