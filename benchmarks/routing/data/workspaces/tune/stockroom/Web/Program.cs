using Stockroom.Data;
using Stockroom.Services;
using Stockroom.Web;

var stock = new StockRepository();
var audit = new AuditLog();
var engine = new AllocationEngine(stock, audit);
var orders = new OrdersController(stock, engine);
var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/orders", () => orders.List());
app.MapGet("/health", () => "ok");
app.Run();
