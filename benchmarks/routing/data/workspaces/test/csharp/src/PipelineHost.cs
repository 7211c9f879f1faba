using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Darkroom.Cache;
using Darkroom.Codec;
using Darkroom.Model;
using Darkroom.Ops;
using Darkroom.Util;

namespace Darkroom;

public enum JobState
{
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

public sealed class Job
{
    public Job(Guid id, Recipe recipe, DateTime created)
    {
        Id = id;
        Recipe = recipe;
        Created = created;
    }

    public Guid Id { get; }

    public Recipe Recipe { get; }

    public DateTime Created { get; }

    public JobState State { get; set; }

    public string? Error { get; set; }

    public int Attempts { get; set; }

    public string? Output { get; set; }

    public CancellationTokenSource Cancel { get; } = new();
}

/// <summary>Queue, workers, memory, caching, formats, hot folders and retries of the whole program.</summary>
public sealed class PipelineHost : IDisposable
{
    private readonly ConcurrentDictionary<Guid, Job> _jobs = new();
    private readonly PriorityQueue<Job, (int, DateTime)> _queue = new();
    private readonly object _gate = new();
    private readonly OperationTable _table;
    private readonly ResultCache _cache;
    private readonly Stopwatches _times = new();
    private readonly HotFolder? _hot;
    private readonly JobJournal _journal;
    private readonly List<Thread> _workers = new();
    private readonly SemaphoreSlim _memory;
    private long _inFlight;
    private bool _stopping;
    private int _evictions;

    public PipelineHost(OperationTable table, string folder, int workers, long pixelLimit, string? hotFolder = null)
    {
        _table = table;
        _cache = new ResultCache(this, pixelLimit);
        _journal = new JobJournal(this, Path.Combine(folder, "jobs.log"));
        _memory = new SemaphoreSlim(workers);
        Folder = folder;
        PixelLimit = pixelLimit;
        foreach (var job in _journal.Unfinished())
        {
            Enqueue(job);
        }

        if (hotFolder is not null)
        {
            _hot = new HotFolder(this, hotFolder);
        }

        for (var i = 0; i < workers; i++)
        {
            var thread = new Thread(Work) { IsBackground = true, Name = $"worker {i}" };
            _workers.Add(thread);
            thread.Start();
        }
    }

    public string Folder { get; }

    public long PixelLimit { get; }

    public event Action<Job>? Changed;

    public Job Submit(Recipe recipe)
    {
        var problem = Validate(recipe);
        if (problem is not null)
        {
            throw new ArgumentException(problem, nameof(recipe));
        }

        var job = new Job(Guid.NewGuid(), recipe, DateTime.UtcNow);
        _journal.Write(job);
        Enqueue(job);
        return job;
    }

    public Job? Find(Guid id) => _jobs.TryGetValue(id, out var job) ? job : null;

    public bool CancelJob(Guid id)
    {
        var job = Find(id);
        if (job is null || job.State is JobState.Done or JobState.Failed)
        {
            return false;
        }

        job.Cancel.Cancel();
        lock (_gate)
        {
            if (job.State == JobState.Queued)
            {
                job.State = JobState.Cancelled;
                _journal.Write(job);
                Changed?.Invoke(job);
            }
        }

        return true;
    }

    internal void Evicted(string key) => Interlocked.Increment(ref _evictions);

    private string? Validate(Recipe recipe)
    {
        if (string.IsNullOrWhiteSpace(recipe.Source) || !File.Exists(recipe.Source))
        {
            return "the source is not there";
        }

        if (recipe.Format is not ("ppm" or "jpeg" or "png" or "webp" or "tiff"))
        {
            return $"{recipe.Format} cannot be written";
        }

        if (recipe.Quality is < 1 or > 100 && recipe.Format is "jpeg" or "webp")
        {
            return "quality is 1 to 100";
        }

        foreach (var step in recipe.Steps)
        {
            switch (step.Name)
            {
                case "crop" when step.Get("width", 1) <= 0 || step.Get("height", 1) <= 0:
                    return "a crop needs a size";
                case "resize" when step.Get("width", 0) <= 0 && step.Get("height", 0) <= 0:
                    return "a resize needs a width or a height";
                case "exposure" when Math.Abs(step.Get("stops", 0)) > 10:
                    return "exposure is within ten stops";
                case "curves" when step.Get("black", 0) >= step.Get("white", 1):
                    return "black must be below white";
                default:
                    try
                    {
                        _ = _table[step.Name];
                    }
                    catch (KeyNotFoundException e)
                    {
                        return e.Message;
                    }

                    break;
            }
        }

        return null;
    }

    private void Enqueue(Job job)
    {
        _jobs[job.Id] = job;
        lock (_gate)
        {
            job.State = JobState.Queued;
            _queue.Enqueue(job, (-job.Recipe.Priority, job.Created));
            Monitor.Pulse(_gate);
        }

        Changed?.Invoke(job);
    }

    private void Work()
    {
        while (true)
        {
            Job? job = null;
            lock (_gate)
            {
                while (!_stopping && !_queue.TryDequeue(out job, out _))
                {
                    Monitor.Wait(_gate);
                }

                if (_stopping)
                {
                    return;
                }

                if (job is null || job.State == JobState.Cancelled)
                {
                    continue;
                }

                job.State = JobState.Running;
            }

            Changed?.Invoke(job);
            job.Attempts++;
            try
            {
                Run(job);
                job.State = job.Cancel.IsCancellationRequested ? JobState.Cancelled : JobState.Done;
            }
            catch (OperationCanceledException)
            {
                job.State = JobState.Cancelled;
            }
            catch (OutOfMemoryException) when (job.Attempts < 5)
            {
                _cache.Put("flush", new Bitmap(new Size(1, 1)));
                Enqueue(job);
                continue;
            }
            catch (IOException e) when (job.Attempts < 3)
            {
                job.Error = e.Message;
                Enqueue(job);
                continue;
            }
            catch (Exception e)
            {
                job.State = JobState.Failed;
                job.Error = e.Message;
            }

            _journal.Write(job);
            Changed?.Invoke(job);
        }
    }

    private void Run(Job job)
    {
        var recipe = job.Recipe;
        var token = job.Cancel.Token;
        var start = Math.Max(0, recipe.Steps.Count);
        Bitmap? bitmap = null;
        for (; start > 0; start--)
        {
            if (_cache.TryGet(Key(recipe, start), out var cached))
            {
                bitmap = cached;
                break;
            }
        }

        byte[]? raw = null;
        if (bitmap is null)
        {
            raw = File.ReadAllBytes(recipe.Source);
            bitmap = _times.Measure("decode", () => Decode(raw));
            var orientation = raw.Length > 2 && raw[0] == 0xFF && raw[1] == 0xD8 ? ExifReader.Orientation(raw) : 1;
            if (orientation != 1)
            {
                bitmap = Turn(bitmap, orientation);
            }
        }

        var expected = _table.Predict(bitmap.Size, recipe.Steps.Skip(start));
        if (expected.Pixels > PixelLimit || bitmap.Size.Pixels > PixelLimit)
        {
            throw new InvalidOperationException($"{expected} is larger than allowed");
        }

        _memory.Wait(token);
        Interlocked.Add(ref _inFlight, bitmap.Size.Pixels);
        try
        {
            for (var i = start; i < recipe.Steps.Count; i++)
            {
                token.ThrowIfCancellationRequested();
                var step = recipe.Steps[i];
                var before = bitmap;
                bitmap = _times.Measure(step.Name, () => _table[step.Name].Apply(before, step));
                if (i < recipe.Steps.Count - 1 || recipe.Format != "ppm")
                {
                    _cache.Put(Key(recipe, i + 1), bitmap);
                }
            }

            var target = FileNames.Free(recipe.Target);
            var temporary = target + ".part";
            using (var stream = File.Create(temporary))
            {
                Encode(bitmap, stream, recipe, raw);
            }

            if (token.IsCancellationRequested)
            {
                File.Delete(temporary);
                token.ThrowIfCancellationRequested();
            }

            File.Move(temporary, target);
            job.Output = target;
        }
        finally
        {
            Interlocked.Add(ref _inFlight, -bitmap.Size.Pixels);
            _memory.Release();
        }
    }

    private static Bitmap Decode(byte[] raw)
    {
        if (raw.Length > 2 && raw[0] == 'P' && raw[1] == '6')
        {
            return PpmCodec.Read(new MemoryStream(raw));
        }

        throw new InvalidDataException("the format is not known");
    }

    private static void Encode(Bitmap bitmap, Stream stream, Recipe recipe, byte[]? raw)
    {
        switch (recipe.Format)
        {
            case "ppm":
                PpmCodec.Write(bitmap, stream);
                break;
            default:
                throw new NotSupportedException($"{recipe.Format} needs its codec installed");
        }
    }

    private static Bitmap Turn(Bitmap input, int orientation)
    {
        var swapped = orientation >= 5;
        var size = swapped ? new Size(input.Size.Height, input.Size.Width) : input.Size;
        var output = new Bitmap(size);
        for (var y = 0; y < size.Height; y++)
        {
            for (var x = 0; x < size.Width; x++)
            {
                var (sx, sy) = orientation switch
                {
                    2 => (size.Width - 1 - x, y),
                    3 => (size.Width - 1 - x, size.Height - 1 - y),
                    4 => (x, size.Height - 1 - y),
                    5 => (y, x),
                    6 => (y, size.Width - 1 - x),
                    7 => (size.Height - 1 - y, size.Width - 1 - x),
                    8 => (size.Height - 1 - y, x),
                    _ => (x, y),
                };
                input.Row(sy).Slice(sx * 3, 3).CopyTo(output.Row(y)[(x * 3)..]);
            }
        }

        return output;
    }

    private static string Key(Recipe recipe, int steps)
    {
        var text = new StringBuilder(recipe.Source);
        text.Append(File.GetLastWriteTimeUtc(recipe.Source).Ticks);
        foreach (var step in recipe.Steps.Take(steps))
        {
            text.Append('|').Append(step.Name);
            foreach (var (key, value) in step.Values.OrderBy(v => v.Key, StringComparer.Ordinal))
            {
                text.Append(',').Append(key).Append('=').Append(value);
            }
        }

        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
        }

        foreach (var worker in _workers)
        {
            worker.Join();
        }

        _hot?.Dispose();
        _journal.Dispose();
    }
}
