namespace Stockroom.Web;

public sealed class OrderDto
{
    public int Id { get; set; }
    public string Customer { get; set; } = "";
    public string State { get; set; } = "";
    public int Lines { get; set; }
}
