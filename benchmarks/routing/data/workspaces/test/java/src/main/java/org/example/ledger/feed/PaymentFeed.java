package org.example.ledger.feed;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import org.example.ledger.model.Money;
import org.example.ledger.posting.Ledger;
import org.example.ledger.posting.PostingException;

/** Payments as the clearing house delivers them: one line each, fields parted by semicolons. */
public final class PaymentFeed {
    public record Payment(String id, String iban, Money amount, LocalDate date, String nostro, String text) {
    }

    public record Outcome(int booked, int suspense, List<String> failed) {
    }

    private final Ledger ledger;

    public PaymentFeed(Ledger ledger) {
        this.ledger = ledger;
    }

    public Outcome read(Reader reader) throws IOException {
        BufferedReader lines = new BufferedReader(reader);
        int booked = 0;
        int suspense = 0;
        List<String> failed = new ArrayList<>();
        String line;
        while ((line = lines.readLine()) != null) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            try {
                String target = ledger.receive(parse(line));
                if (target.equals(Ledger.SUSPENSE)) {
                    suspense++;
                } else {
                    booked++;
                }
            } catch (PostingException | IllegalArgumentException e) {
                failed.add(line + ": " + e.getMessage());
            }
        }
        return new Outcome(booked, suspense, failed);
    }

    static Payment parse(String line) {
        String[] fields = line.split(";", -1);
        if (fields.length != 7) {
            throw new IllegalArgumentException(fields.length + " fields");
        }
        return new Payment(fields[0], fields[1], Money.of(fields[2], fields[3]), LocalDate.parse(fields[4]), fields[5], fields[6]);
    }
}
