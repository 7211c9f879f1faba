package org.example.ledger.posting;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** A chain of notes, each with the digest of the one before. */
public final class AuditLog {
    private final List<String> lines = new ArrayList<>();
    private String last = "0";
    private Ledger ledger;

    void attach(Ledger ledger) {
        this.ledger = ledger;
    }

    synchronized void note(String what, String subject) {
        String line = lines.size() + " " + what + " " + subject + " " + ledger.rejected() + " " + last;
        last = digest(line);
        lines.add(line);
    }

    public synchronized boolean intact() {
        String before = "0";
        for (String line : lines) {
            if (!line.endsWith(" " + before)) {
                return false;
            }
            before = digest(line);
        }
        return before.equals(last);
    }

    private static String digest(String text) {
        try {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(sum, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
