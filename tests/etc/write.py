"""Write the options of our inis and of their page anew, as they are declared now."""

from pathlib import Path

from s3shunt.cli import sample
from s3shunt.config import Ini

ROOT = Path(__file__).parent.parent.parent

for ini in sorted((ROOT / "etc").glob("*.ini")):
    ini.write_text(sample.expand(ini.read_text(), Ini(ini, {})))
page = ROOT / "docs/configuration.md"
page.write_text(sample.page(page))
