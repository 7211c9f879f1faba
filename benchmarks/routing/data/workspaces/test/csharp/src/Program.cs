using Darkroom;
using Darkroom.Model;
using Darkroom.Ops;

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: darkroom SOURCE TARGET [WIDTH]");
    return 2;
}

using var host = new PipelineHost(OperationTable.Standard, Environment.CurrentDirectory, 2, 100_000_000);
var width = args.Length > 2 ? double.Parse(args[2]) : 1024;
var job = host.Submit(new Recipe(args[0], args[1], new[] { new Step("resize", new Dictionary<string, double> { ["width"] = width }) }, "ppm", 90));
while (job.State is JobState.Queued or JobState.Running)
{
    Thread.Sleep(20);
}

Console.WriteLine(job.Error ?? job.Output);
return job.State == JobState.Done ? 0 : 1;
