using System.Text.Json;
using Darkroom.Model;

namespace Darkroom;

/// <summary>One line for each change of a job, so that a crash loses none.</summary>
public sealed class JobJournal : IDisposable
{
    private readonly StreamWriter _writer;
    private readonly string _path;
    private readonly PipelineHost _host;

    public JobJournal(PipelineHost host, string path)
    {
        _host = host;
        _path = path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _writer = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read));
    }

    public void Write(Job job)
    {
        _writer.WriteLine(JsonSerializer.Serialize(new Line(job.Id, job.State, job.Recipe, job.Created)));
        _writer.Flush();
    }

    public IEnumerable<Job> Unfinished()
    {
        var last = new Dictionary<Guid, Line>();
        using var stream = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } text)
        {
            if (JsonSerializer.Deserialize<Line>(text) is { } line)
            {
                last[line.Id] = line;
            }
        }

        return last.Values.Where(l => l.State is JobState.Queued or JobState.Running)
            .Select(l => new Job(l.Id, l.Recipe, l.Created)).ToList();
    }

    public void Dispose() => _writer.Dispose();

    private sealed record Line(Guid Id, JobState State, Recipe Recipe, DateTime Created);
}
