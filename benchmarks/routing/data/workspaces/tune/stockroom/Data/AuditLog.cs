namespace Stockroom.Data;

public sealed record AuditEvent(DateTime At, string Who, string What);

public sealed class AuditLog
{
    private readonly List<AuditEvent> _events = new();

    public void Write(string who, string what) => _events.Add(new AuditEvent(DateTime.UtcNow, who, what));

    public IReadOnlyList<AuditEvent> Since(DateTime at) => _events.Where(e => e.At >= at).ToList();
}
