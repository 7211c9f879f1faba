"""How everything looks: tokens declared once, and what makes palette, fonts, stylesheet and icons of them."""
