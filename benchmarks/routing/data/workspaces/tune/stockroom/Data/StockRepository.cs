using Stockroom.Domain;

namespace Stockroom.Data;

public sealed class StockRepository
{
    private readonly Dictionary<string, Product> _products = new();
    private readonly Dictionary<string, Bin> _bins = new();
    private readonly Dictionary<int, PickOrder> _orders = new();

    public IEnumerable<Bin> Bins => _bins.Values;

    public IEnumerable<PickOrder> Orders => _orders.Values;

    public Product? Product(string sku) => _products.GetValueOrDefault(sku);

    public Bin? Bin(string code) => _bins.GetValueOrDefault(code);

    public PickOrder? Order(int id) => _orders.GetValueOrDefault(id);

    public void Save(Product product) => _products[product.Sku] = product;

    public void Save(Bin bin) => _bins[bin.Code] = bin;

    public void Save(PickOrder order) => _orders[order.Id] = order;

    public int OnHand(string sku) => _bins.Values.Sum(bin => bin.Contents.GetValueOrDefault(sku));
}
