using System.Text;
using Darkroom.Util;

namespace Darkroom;

public static class StatusPage
{
    public static string Render(PipelineHost host, IEnumerable<Guid> ids)
    {
        var text = new StringBuilder("<table>");
        foreach (var id in ids)
        {
            var job = host.Find(id);
            if (job is not null)
            {
                text.Append($"<tr><td>{job.Id}</td><td>{job.State}</td><td>{job.Error}</td></tr>");
            }
        }

        return text.Append("</table>").Append(HumanBytes.Format(host.PixelLimit * 12)).ToString();
    }
}
