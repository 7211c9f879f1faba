package com.example.ledger.core;

import com.example.ledger.account.Account;
import com.example.ledger.account.AccountKind;
import com.example.ledger.account.AccountRepository;
import com.example.ledger.fraud.FraudCheck;
import com.example.ledger.fx.Rates;
import com.example.ledger.report.Statements;
import com.example.ledger.util.Constants;
import com.example.ledger.util.Iban;
import com.example.ledger.util.Strings;
import java.time.Clock;
import java.time.DayOfWeek;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Books transfers: checks, limits, fees, currencies, fraud, settlement, reversal. */
public class LedgerService {
    private final AccountRepository accounts;
    private final Rates rates;
    private final Clock clock;
    private final Journal journal = new Journal();
    private final FraudCheck fraud = new FraudCheck(this);
    private final Limits limits = new Limits(this);
    private final Settlement settlement = new Settlement(this);
    private final Statements statements = new Statements(this);
    private final Map<String, String> seenKeys = new HashMap<>();
    private final Map<String, Transfer> transfers = new HashMap<>();
    private final Set<String> reversed = new HashSet<>();
    private final Set<String> held = new HashSet<>();
    private final Set<LocalDate> holidays = new HashSet<>();
    private boolean maintenance;

    public LedgerService(AccountRepository accounts, Rates rates, Clock clock) {
        this.accounts = accounts;
        this.rates = rates;
        this.clock = clock;
    }

    public Journal journal() {
        return journal;
    }

    public Settlement settlement() {
        return settlement;
    }

    public Statements statements() {
        return statements;
    }

    public AccountRepository accounts() {
        return accounts;
    }

    public void setMaintenance(boolean on) {
        maintenance = on;
    }

    public void addHoliday(LocalDate day) {
        holidays.add(day);
    }

    public String book(Transfer transfer, boolean approved) {
        if (maintenance && !transfer.instant()) {
            throw new LedgerException("MAINTENANCE", "try again later");
        }
        if (transfer.idempotencyKey() != null) {
            String earlier = seenKeys.get(transfer.idempotencyKey());
            if (earlier != null) {
                return earlier;
            }
        }
        if (transfer.cents() <= 0) {
            throw new LedgerException("AMOUNT", "an amount must be positive");
        }
        if (!Strings.isBlank(transfer.memo()) && transfer.memo().length() > Constants.MAX_MEMO_LENGTH) {
            throw new LedgerException("MEMO", "the memo is too long");
        }
        if (transfer.from().equals(transfer.to())) {
            throw new LedgerException("SAME", "both accounts are the same");
        }
        Account from = accounts.find(transfer.from())
                .orElseThrow(() -> new LedgerException("UNKNOWN", "no account " + Strings.mask(transfer.from())));
        if (from.isFrozen()) {
            throw new LedgerException("FROZEN", "the account is frozen");
        }
        Instant now = clock.instant();
        Account to = accounts.find(transfer.to()).orElse(null);
        boolean external = to == null;
        if (external) {
            if (!Iban.isValid(transfer.to())) {
                throw new LedgerException("IBAN", "not an IBAN");
            }
            if (from.getKind() == AccountKind.SAVINGS) {
                throw new LedgerException("SAVINGS", "savings go to own accounts alone");
            }
        } else if (to.isFrozen()) {
            if (to.getKind() == AccountKind.INTERNAL) {
                throw new LedgerException("CLOSED", "the account is closed");
            }
            held.add(transfer.id());
        } else if (from.getKind() == AccountKind.SAVINGS && !from.getOwner().equals(to.getOwner())) {
            throw new LedgerException("SAVINGS", "savings go to own accounts alone");
        }
        long debit = rates.convert(transfer.cents(), transfer.currency(), from.getCurrency());
        long fee = fee(from, transfer, external, now);
        if (from.getKind() != AccountKind.INTERNAL) {
            if (limits.left(from, now) < debit && !approved) {
                throw new LedgerException("LIMIT", "more than the daily limit");
            }
            if (from.getBalance() + from.getOverdraft() < debit + fee) {
                if (from.getKind() == AccountKind.BUSINESS && approved && from.getBalance() > 0) {
                    fee += 500;
                } else {
                    throw new LedgerException("FUNDS", "not enough money");
                }
            }
            int points = fraud.score(from, transfer);
            if (points >= 60 && !approved) {
                held.add(transfer.id());
                transfers.put(transfer.id(), transfer);
                return "HELD";
            } else if (points >= 40 && transfer.instant()) {
                if (external || from.getKind() == AccountKind.BUSINESS) {
                    held.add(transfer.id());
                    transfers.put(transfer.id(), transfer);
                    return "HELD";
                }
            }
        }
        List<Entry> entries = new ArrayList<>();
        entries.add(new Entry(transfer.id(), from.getIban(), -debit, from.getCurrency(), now, transfer.memo()));
        String target = external || held.contains(transfer.id()) ? Constants.SUSPENSE_ACCOUNT : to.getIban();
        String targetCurrency = external || held.contains(transfer.id()) ? from.getCurrency() : to.getCurrency();
        long credit = rates.convert(debit, from.getCurrency(), targetCurrency);
        entries.add(new Entry(transfer.id(), target, credit, targetCurrency, now, transfer.memo()));
        if (fee > 0) {
            entries.add(new Entry(transfer.id(), from.getIban(), -fee, from.getCurrency(), now, "fee"));
            entries.add(new Entry(transfer.id(), Constants.FEES_ACCOUNT, fee, from.getCurrency(), now, "fee"));
        }
        journal.append(entries);
        from.setBalance(from.getBalance() - debit - fee);
        accounts.save(from);
        if (!external && !held.contains(transfer.id())) {
            to.setBalance(to.getBalance() + credit);
            accounts.save(to);
        }
        transfers.put(transfer.id(), transfer);
        if (transfer.idempotencyKey() != null) {
            seenKeys.put(transfer.idempotencyKey(), transfer.id());
        }
        if (external) {
            if (transfer.instant()) {
                settle(transfer);
            } else {
                settlement.enqueue(transfer);
            }
        }
        return transfer.id();
    }

    private long fee(Account from, Transfer transfer, boolean external, Instant now) {
        if (from.getKind() == AccountKind.INTERNAL) {
            return 0;
        }
        long fee = 0;
        if (external) {
            fee += transfer.instant() ? 100 : 20;
            if (!transfer.currency().equals(Constants.BASE_CURRENCY)) {
                fee += Math.max(150, transfer.cents() / 200);
            }
        }
        LocalDate today = LocalDate.ofInstant(now, ZoneOffset.UTC);
        boolean weekend = today.getDayOfWeek() == DayOfWeek.SATURDAY || today.getDayOfWeek() == DayOfWeek.SUNDAY;
        if (transfer.instant() && (weekend || holidays.contains(today))) {
            fee += 50;
        }
        return from.getKind() == AccountKind.BUSINESS && fee > 0 ? fee * 3 / 4 : fee;
    }

    public void settle(Transfer transfer) {
        if (reversed.contains(transfer.id())) {
            throw new LedgerException("REVERSED", "was taken back");
        }
        if (held.contains(transfer.id())) {
            throw new LedgerException("HELD", "is held for review");
        }
        Account suspense = accounts.find(Constants.SUSPENSE_ACCOUNT)
                .orElseThrow(() -> new LedgerException("SETUP", "no suspense account"));
        suspense.setBalance(suspense.getBalance() - transfer.cents());
        accounts.save(suspense);
    }

    public void reverse(String id, String reason) {
        Transfer transfer = transfers.get(id);
        if (transfer == null) {
            throw new LedgerException("UNKNOWN", "no transfer " + id);
        }
        if (!reversed.add(id)) {
            return;
        }
        Instant now = clock.instant();
        List<Entry> back = new ArrayList<>();
        for (Entry entry : journal.where(found -> found.transferId().equals(id))) {
            if (entry.text() != null && entry.text().equals("fee") && !reason.startsWith("settlement")) {
                continue;
            }
            back.add(new Entry(id, entry.iban(), -entry.cents(), entry.currency(), now, "reversal: " + reason));
        }
        journal.append(back);
        for (Entry entry : back) {
            accounts.find(entry.iban()).ifPresent(account -> {
                account.setBalance(account.getBalance() + entry.cents());
                accounts.save(account);
            });
        }
        held.remove(id);
    }

    public String release(String id) {
        if (!held.remove(id)) {
            throw new LedgerException("NOT_HELD", id + " is not held");
        }
        return book(transfers.get(id), true);
    }
}
