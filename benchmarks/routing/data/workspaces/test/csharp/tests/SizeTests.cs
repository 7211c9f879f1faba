using Darkroom.Model;
using Xunit;

public class SizeTests
{
    [Fact]
    public void ScalesBothSides() => Assert.Equal(new Size(50, 25), new Size(100, 50).Scale(0.5));
}
