package org.example.ledger.report;

/** The lines at the top of every letter. */
public final class Letterhead {
    private final String bank;
    private final String city;

    public Letterhead(String bank, String city) {
        this.bank = bank;
        this.city = city;
    }

    public String text() {
        return bank + ", " + city + "\n" + "=".repeat(bank.length() + city.length() + 2);
    }
}
