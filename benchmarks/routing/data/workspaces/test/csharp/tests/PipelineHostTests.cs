using Darkroom;
using Darkroom.Model;
using Darkroom.Ops;
using Xunit;

public class PipelineHostTests
{
    [Fact]
    public void RefusesWhatIsNotThere()
    {
        using var host = new PipelineHost(OperationTable.Standard, Path.GetTempPath(), 1, 1000);
        Assert.Throws<ArgumentException>(() => host.Submit(new Recipe("nowhere", "out.ppm", Array.Empty<Step>(), "ppm", 90)));
    }
}
