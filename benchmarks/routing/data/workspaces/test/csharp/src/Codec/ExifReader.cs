using System.Buffers.Binary;

namespace Darkroom.Codec;

public static class ExifReader
{
    /// <summary>The orientation 1 to 8, or 1 where none is stated.</summary>
    public static int Orientation(ReadOnlySpan<byte> file)
    {
        var at = 2;
        while (at + 4 < file.Length && file[at] == 0xFF)
        {
            var marker = file[at + 1];
            var length = BinaryPrimitives.ReadUInt16BigEndian(file[(at + 2)..]);
            if (marker == 0xE1 && file.Slice(at + 4, 4).SequenceEqual("Exif"u8))
            {
                return FromTiff(file.Slice(at + 10, length - 8));
            }

            if (marker == 0xDA)
            {
                break;
            }

            at += length + 2;
        }

        return 1;
    }

    private static int FromTiff(ReadOnlySpan<byte> tiff)
    {
        var little = tiff[0] == 'I';
        ushort Short(ReadOnlySpan<byte> s) => little ? BinaryPrimitives.ReadUInt16LittleEndian(s) : BinaryPrimitives.ReadUInt16BigEndian(s);
        var at = (int)(little ? BinaryPrimitives.ReadUInt32LittleEndian(tiff[4..]) : BinaryPrimitives.ReadUInt32BigEndian(tiff[4..]));
        var count = Short(tiff[at..]);
        for (var i = 0; i < count; i++)
        {
            var entry = tiff.Slice(at + 2 + i * 12, 12);
            if (Short(entry) == 0x0112)
            {
                return Short(entry[8..]);
            }
        }

        return 1;
    }
}
