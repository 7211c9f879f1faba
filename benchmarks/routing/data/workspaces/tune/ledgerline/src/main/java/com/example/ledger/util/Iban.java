package com.example.ledger.util;

import java.math.BigInteger;

/** ISO 13616. */
public final class Iban {
    private Iban() {}

    public static String normalise(String raw) {
        return raw.replace(" ", "").toUpperCase();
    }

    public static boolean isValid(String raw) {
        String iban = normalise(raw);
        if (iban.length() < Constants.IBAN_MIN_LENGTH || iban.length() > Constants.IBAN_MAX_LENGTH) {
            return false;
        }
        String turned = iban.substring(4) + iban.substring(0, 4);
        StringBuilder digits = new StringBuilder();
        for (char letter : turned.toCharArray()) {
            if (!Character.isLetterOrDigit(letter)) {
                return false;
            }
            digits.append(Character.getNumericValue(letter));
        }
        return new BigInteger(digits.toString()).mod(BigInteger.valueOf(97)).intValue() == 1;
    }
}
