using Darkroom.Model;

namespace Darkroom;

/// <summary>Submits each file that appears in a folder.</summary>
public sealed class HotFolder : IDisposable
{
    private readonly FileSystemWatcher _watcher;
    private readonly PipelineHost _host;

    public HotFolder(PipelineHost host, string path)
    {
        _host = host;
        _watcher = new FileSystemWatcher(path) { EnableRaisingEvents = true };
        _watcher.Created += (_, e) => Take(e.FullPath);
    }

    private void Take(string path)
    {
        var target = Path.Combine(_host.Folder, Path.GetFileName(path));
        var steps = new[] { new Step("resize", new Dictionary<string, double> { ["width"] = 2048 }) };
        try
        {
            _host.Submit(new Recipe(path, target, steps, "ppm", 90));
        }
        catch (ArgumentException)
        {
            File.Move(path, path + ".rejected", true);
        }
    }

    public void Dispose() => _watcher.Dispose();
}
