using Stockroom.Common;
using Stockroom.Domain;

namespace Stockroom.Services;

public sealed class LabelPrinter
{
    public string Print(Product product, int count)
    {
        var weight = Units.ToKilograms(product.WeightGrams * count);
        var marks = new List<string>();
        if (product.Fragile)
        {
            marks.Add("FRAGILE");
        }
        if (product.Hazardous)
        {
            marks.Add("HAZARD");
        }
        return $"{SkuFormatter.Short(product.Sku)} x{count} {weight:F1}kg {string.Join(' ', marks)}".TrimEnd();
    }
}
