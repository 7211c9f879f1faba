using Stockroom.Domain;
using Stockroom.Services;
using Xunit;

namespace Stockroom.Tests;

public class LabelPrinterTests
{
    [Fact]
    public void MarksFragileGoods()
    {
        var product = new Product { Sku = "AB-1", Name = "vase", WeightGrams = 500, Fragile = true };
        Assert.Equal("AB-1 x2 1.0kg FRAGILE", new LabelPrinter().Print(product, 2));
    }
}
