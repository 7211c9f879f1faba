namespace Darkroom.Util;

public static class HumanBytes
{
    private static readonly string[] Units = { "B", "KiB", "MiB", "GiB" };

    public static string Format(long bytes)
    {
        double value = bytes;
        var unit = 0;
        while (value >= 1024 && unit < Units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return $"{value:0.#} {Units[unit]}";
    }
}
