"""The app's pages."""

import sys
from pathlib import Path

# Streamlit puts the folder of its script on sys.path for each run and takes it off again. Another thread that goes
# through that list at the moment misses one of its folders, and with it a library that is there. So the folder
# stays for good; last, where it hides nothing.
sys.path.append(str(Path(__file__).absolute().parent))
