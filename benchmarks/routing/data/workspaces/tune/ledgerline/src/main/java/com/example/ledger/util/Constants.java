package com.example.ledger.util;

/** Values that the ledger agrees on. */
public final class Constants {
    public static final String BASE_CURRENCY = "EUR";
    public static final int MAX_MEMO_LENGTH = 140;
    public static final long DAILY_LIMIT_CENTS = 1_000_000L;
    public static final int IBAN_MIN_LENGTH = 15;
    public static final int IBAN_MAX_LENGTH = 34;
    public static final String FEES_ACCOUNT = "XX00FEES";
    public static final String SUSPENSE_ACCOUNT = "XX00SUSPENSE";

    private Constants() {}
}
