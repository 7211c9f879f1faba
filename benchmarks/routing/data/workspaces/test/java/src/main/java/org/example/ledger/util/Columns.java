package org.example.ledger.util;

/** Text in columns of fixed width. */
public final class Columns {
    private Columns() {
    }

    public static String left(String text, int width) {
        return text.length() >= width ? text.substring(0, width) : text + " ".repeat(width - text.length());
    }

    public static String right(String text, int width) {
        return text.length() >= width ? text : " ".repeat(width - text.length()) + text;
    }
}
