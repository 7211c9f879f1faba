namespace Stockroom.Common;

public sealed record Result<T>(T? Value, string? Error)
{
    public bool Ok => Error is null;

    public static Result<T> Good(T value) => new(value, null);

    public static Result<T> Bad(string error) => new(default, error);
}
