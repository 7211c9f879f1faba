namespace Stockroom.Common;

public static class SkuFormatter
{
    /// <summary>`ab 12-3` becomes `AB-12-3`.</summary>
    public static string Normalise(string raw) => raw.Trim().ToUpperInvariant().Replace(' ', '-');

    public static string Short(string sku) => sku.Length <= 12 ? sku : sku[..12];
}
