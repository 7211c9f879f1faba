namespace Darkroom.Util;

public static class FileNames
{
    /// <summary>A name that is free: "a.jpg", "a-1.jpg", "a-2.jpg" and so on.</summary>
    public static string Free(string path)
    {
        var candidate = path;
        for (var n = 1; File.Exists(candidate); n++)
        {
            candidate = Path.Combine(
                Path.GetDirectoryName(path) ?? "", $"{Path.GetFileNameWithoutExtension(path)}-{n}{Path.GetExtension(path)}");
        }

        return candidate;
    }
}
