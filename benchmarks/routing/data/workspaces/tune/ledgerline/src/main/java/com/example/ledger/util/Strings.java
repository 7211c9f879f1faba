package com.example.ledger.util;

public final class Strings {
    private Strings() {}

    public static boolean isBlank(String text) {
        return text == null || text.isBlank();
    }

    public static String mask(String iban) {
        return iban.substring(0, 4) + "****" + iban.substring(iban.length() - 4);
    }
}
