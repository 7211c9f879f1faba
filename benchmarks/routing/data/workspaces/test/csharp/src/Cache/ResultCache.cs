using System.Collections.Concurrent;
using Darkroom.Model;

namespace Darkroom.Cache;

/// <summary>Pictures by recipe, the least recently used thrown out first.</summary>
public sealed class ResultCache
{
    private readonly ConcurrentDictionary<string, (Bitmap Bitmap, long Used)> _entries = new();
    private readonly PipelineHost _host;
    private readonly long _limit;
    private long _clock;
    private long _pixels;

    public ResultCache(PipelineHost host, long limit)
    {
        _host = host;
        _limit = limit;
    }

    public bool TryGet(string key, out Bitmap bitmap)
    {
        if (_entries.TryGetValue(key, out var entry))
        {
            _entries[key] = (entry.Bitmap, Interlocked.Increment(ref _clock));
            bitmap = entry.Bitmap;
            return true;
        }

        bitmap = null!;
        return false;
    }

    public void Put(string key, Bitmap bitmap)
    {
        if (_entries.TryAdd(key, (bitmap, Interlocked.Increment(ref _clock))))
        {
            Interlocked.Add(ref _pixels, bitmap.Size.Pixels);
        }

        while (Interlocked.Read(ref _pixels) > _limit && !_entries.IsEmpty)
        {
            var oldest = _entries.MinBy(e => e.Value.Used);
            if (_entries.TryRemove(oldest.Key, out var gone))
            {
                Interlocked.Add(ref _pixels, -gone.Bitmap.Size.Pixels);
                _host.Evicted(oldest.Key);
            }
        }
    }
}
