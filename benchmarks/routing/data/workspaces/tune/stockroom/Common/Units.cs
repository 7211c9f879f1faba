namespace Stockroom.Common;

public static class Units
{
    public const int PalletCapacity = 48;
    public const int MaxPickWeightGrams = 18_000;
    public const int ShelfLevels = 5;
    public const string DefaultWarehouse = "HAM1";

    public static double ToKilograms(int grams) => grams / 1000.0;
}
